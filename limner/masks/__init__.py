"""Masks: a class for every pixel of a photograph, as files and as sets of files."""
