"""A4: what changes if the network sees a*x + b?"""
