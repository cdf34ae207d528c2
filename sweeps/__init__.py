"""Many runs at once: what a grid asks for, in which order, who does it, and how far it is."""
