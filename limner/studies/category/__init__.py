"""Does what holds for horses hold for other things?"""
