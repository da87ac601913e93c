# Two processes take the same lock and give it back, each as often as it can.
import json
import multiprocessing
import time

n = 200_000
processes = 2


def work(lock, count):
    for _ in range(count):
        lock.acquire()
        lock.release()


context = multiprocessing.get_context("fork")
lock = context.Lock()
t = time.perf_counter()
everyone = [context.Process(target=work, args=(lock, n // processes)) for _ in range(processes)]
for process in everyone:
    process.start()
for process in everyone:
    process.join()
s = time.perf_counter() - t
print(json.dumps({"workload": "process_lock_contended", "n": n, "seconds": s}))
