"""This machine: in the calling process, or by worker processes over its cores and GPUs."""

from platforms.local.platform import Local as Local
