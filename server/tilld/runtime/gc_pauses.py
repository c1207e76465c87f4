"""Keeps Python's garbage collector from stopping everything: 10,000 watches take it half a second."""

import gc
import time

LONG_SECONDS = 0.01


def spare_what_stays(long_seconds: float = LONG_SECONDS) -> None:
    """Have the collector look no more at what lives now, nor later at what took it long to look at.

    What is spared is freed all the same when nothing refers to it, which is how nearly all of ours ends.
    """
    gc.collect()
    gc.freeze()
    began = 0.0

    def watch(phase: str, info: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.thread_time()
        elif info["generation"] == 2 and time.thread_time() > began + long_seconds:
            gc.freeze()

    gc.callbacks.append(watch)
