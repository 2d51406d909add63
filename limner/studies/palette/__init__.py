"""How many colors, and in RGB or in ab?"""
