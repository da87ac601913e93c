# One thread takes and releases a lock nobody else wants.
import json
import sys
import threading
import time


def turns(lock, n):
    for _ in range(n):
        lock.acquire()
        lock.release()


n = 1_000_000
lock = threading.Lock()
t = time.perf_counter()
turns(lock, n)
s = time.perf_counter() - t
if lock.locked():
    sys.exit("the lock is still held")
print(json.dumps({"workload": "lock_uncontended", "n": n, "seconds": s}))
