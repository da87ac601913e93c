# 1000 threads that sleep for one second; the runner takes that second off.
import json
import threading
import time

n = 1000
t = time.perf_counter()
threads = [threading.Thread(target=time.sleep, args=(1,)) for _ in range(n)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
s = time.perf_counter() - t
print(json.dumps({"workload": "sleepers", "n": n, "seconds": s}))
