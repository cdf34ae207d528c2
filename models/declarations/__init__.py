"""The declarations of the families of networks, by the work whose recipes they have.

Nothing here imports torch.
"""
