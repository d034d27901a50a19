"""The workflow `ticket`, written with DSPy: calls in a closed loop, as `src/load.rs` makes them."""

import asyncio
import sys
import time
from typing import Literal

import dspy

TICKET = (
    "You took the money for my order twice, and nobody answers my mails. Send one of them back."
)


class Ticket(dspy.Signature):
    """Read the support ticket. Say what it is about and how urgent it is, and answer it kindly."""

    ticket: str = dspy.InputField(desc="What the customer wrote")
    kind: Literal["billing", "shipping", "product", "other"] = dspy.OutputField(
        desc="What it is about"
    )
    urgency: int = dspy.OutputField(desc="How urgent it is")
    reply: str = dspy.OutputField(desc="What to answer")


async def main() -> None:
    """Prints calls, seconds, and the median and 99th percentile of latencies in microseconds."""
    url, callers, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    # What is the same each time must not come from its cache.
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    # Its own engine: the other one, litellm, is an optional package.
    lm = dspy.LM(
        "openai/gpt-5-mini", api_base=url, api_key="sk-bench", cache=False, engine="lm15"
    )
    dspy.configure(lm=lm)
    predict = dspy.Predict(Ticket)
    await predict.acall(ticket=TICKET)
    begin = time.perf_counter() + seconds / 4
    end = begin + seconds
    latencies: list[float] = []

    async def caller() -> None:
        while True:
            started = time.perf_counter()
            output = await predict.acall(ticket=TICKET)
            ended = time.perf_counter()
            if output.urgency != 4:
                raise ValueError(f"the urgency is {output.urgency!r}, not 4")
            if ended >= end:
                return
            if ended >= begin:
                latencies.append(ended - started)

    await asyncio.gather(*(caller() for _ in range(callers)))
    latencies.sort()
    median, p99 = (latencies[len(latencies) * share // 100] * 1e6 for share in (50, 99))
    print(len(latencies), seconds, median, p99)


asyncio.run(main())
