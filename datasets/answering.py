"""What a process that reads images spends its life with: it answers requests from a pipe."""

from __future__ import annotations

import signal
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import torch

from datasets.reading import read
from foundations.errors import OpenPruneError, RunFailedError
from platforms.stop import SIGNALS

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    import numpy as np

    from datasets.reading import Request


def serve(pipe: Connection) -> None:
    """Answer requests in order, until the pipe is closed.

    A thread sends, so that the next request is worked on while nobody reads the answer to the last.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
    with suppress(EOFError, OSError), ThreadPoolExecutor(1) as sender:
        while True:
            request = pipe.recv()
            sender.submit(pipe.send, _answer(request))


def _answer(request: Request) -> np.ndarray | Exception:
    try:
        return read(request)
    except OpenPruneError as error:
        return error
    except Exception:  # noqa: BLE001 - whatever it is, the run must hear of it
        return RunFailedError(f"Reading images failed:\n{traceback.format_exc()}")
