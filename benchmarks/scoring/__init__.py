"""How many reviews a second each way of running the network scores and explains, side by side."""
