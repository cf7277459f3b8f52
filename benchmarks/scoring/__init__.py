"""How many reviews per second the network scores and explains, with each way of running it, side by side."""
