"""A2, B3: does the UNet beat the CNN, and which skip does it?"""
