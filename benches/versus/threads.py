# Start a thread and wait for it, one after the other.
import json
import threading
import time


def f():
    pass


n = 10_000
t = time.perf_counter()
for _ in range(n):
    thread = threading.Thread(target=f)
    thread.start()
    thread.join()
s = time.perf_counter() - t
print(json.dumps({"workload": "threads", "n": n, "seconds": s}))
