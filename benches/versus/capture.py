# 200 MiB of output, captured.
import json
import subprocess
import sys
import time

n = 209715200
t = time.perf_counter()
done = subprocess.run(["head", "-c", "200M", "/dev/zero"], stdout=subprocess.PIPE)
length = len(done.stdout)
s = time.perf_counter() - t
if length != n:
    sys.exit(f"captured {length} bytes")
print(json.dumps({"workload": "capture", "n": n, "seconds": s}))
