# A process takes a lock of the main one and gives it back, with nobody else who wants it.
import json
import multiprocessing
import time

n = 200_000
processes = 1


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
print(json.dumps({"workload": "process_lock", "n": n, "seconds": s}))
