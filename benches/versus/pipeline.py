# Three stages: numbers, those with a 7, how many.
import json
import sys
import time
from subprocess import PIPE, Popen

n = 5000000
t = time.perf_counter()
a = Popen(["seq", str(n)], stdout=PIPE)
b = Popen(["grep", "7"], stdin=a.stdout, stdout=PIPE)
a.stdout.close()
c = Popen(["wc", "-l"], stdin=b.stdout, stdout=PIPE)
b.stdout.close()
count = int(c.communicate()[0])
a.wait()
b.wait()
s = time.perf_counter() - t
if count < n // 3:
    sys.exit(f"counted {count}")
print(json.dumps({"workload": "pipeline", "n": n, "seconds": s}))
