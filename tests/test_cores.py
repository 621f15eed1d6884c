"""What one pool of threads is told does not change how many cores the others get."""

import subprocess
import sys


def test_pools_that_start_later_get_as_many_cores() -> None:
    code = (
        "from concurrent.futures import ThreadPoolExecutor as Pool\n"
        "from vfs_panel.cores import cores, use_cores, use_one_core\n"
        "import torch\n"
        "use_cores(3)\n"
        "Pool(1, initializer=use_one_core).submit(int).result()\n"
        "later = Pool(1)\n"
        "print(later.submit(torch.get_num_threads).result(), later.submit(cores).result(), cores())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    asked_torch, in_thread, here = map(int, done.stdout.split())
    assert (in_thread, here) == (3, 3)
    assert asked_torch == 1, "PyTorch tells the truth by now: this module is not needed any more"
