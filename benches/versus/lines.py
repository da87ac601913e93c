# 2,000,000 lines of a command, summed in the script.
import json
import sys
import time
from subprocess import PIPE, Popen

n = 2000000
t = time.perf_counter()
total = 0
with Popen(["seq", str(n)], stdout=PIPE, text=True) as process:
    for line in process.stdout:
        total += int(line)
s = time.perf_counter() - t
if total != n * (n + 1) // 2:
    sys.exit(f"the sum is {total}")
print(json.dumps({"workload": "lines", "n": n, "seconds": s}))
