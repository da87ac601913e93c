# Two threads wake each other in turn; one operation is one round.
import json
import sys
import threading
import time

n = 100_000
a = threading.Event()
b = threading.Event()
rounds = []


def ping():
    for _ in range(n):
        a.set()
        b.wait()
        b.clear()
    rounds.append(n)


def pong():
    for _ in range(n):
        a.wait()
        a.clear()
        b.set()
    rounds.append(n)


t = time.perf_counter()
threads = [threading.Thread(target=ping), threading.Thread(target=pong)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
s = time.perf_counter() - t
if sum(rounds) != 2 * n:
    sys.exit(f"{sum(rounds)} half rounds")
print(json.dumps({"workload": "event_pingpong", "n": n, "seconds": s}))
