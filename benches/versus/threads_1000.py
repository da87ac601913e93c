# 1000 threads alive at once, each waiting at a gate; then all are joined.
import json
import sys
import threading
import time

n = 1000
t = time.perf_counter()
gate = threading.Event()
threads = []
for _ in range(n):
    thread = threading.Thread(target=gate.wait)
    thread.start()
    threads.append(thread)
gate.set()
for thread in threads:
    thread.join()
s = time.perf_counter() - t
if any(thread.is_alive() for thread in threads):
    sys.exit("a joined thread is alive")
print(json.dumps({"workload": "threads_1000", "n": n, "seconds": s}))
