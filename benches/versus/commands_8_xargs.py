# 2,000 commands, eight at a time, run by xargs; CPython only starts it and reads the clock.
import json
import subprocess
import time

n = 2000
t = time.perf_counter()
words = "\n".join(str(i) for i in range(n))
subprocess.run(["xargs", "-P", "8", "-n", "1", "/bin/true"], input=words, text=True, check=True)
s = time.perf_counter() - t
print(json.dumps({"workload": "commands_8_xargs", "n": n, "seconds": s}))
