"""From the sets of a recipe to what each step sees: decoded, cropped, mirrored, in batches."""
