"""B4: is a smaller batch better, or are there just more updates?"""
