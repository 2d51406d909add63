"""C1 to C5: what does it cost, and bring, to tune all of a network or its last layer alone?"""
