"""A3: what grows when the picture doubles?"""
