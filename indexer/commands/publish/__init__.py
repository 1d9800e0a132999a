"""The verb `publish`: check package files, send them, index them."""
