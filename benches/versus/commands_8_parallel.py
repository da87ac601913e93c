# 2,000 commands, eight at a time, run by GNU parallel; CPython only starts it and reads the clock.
import json
import subprocess
import time

n = 2000
t = time.perf_counter()
words = "".join(f"{i}\n" for i in range(n))
subprocess.run(["parallel", "-j8", "/bin/true"], input=words, text=True, check=True)
s = time.perf_counter() - t
print(json.dumps({"workload": "commands_8_parallel", "n": n, "seconds": s}))
