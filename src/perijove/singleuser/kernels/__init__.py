"""
Kernels that begin warm. In the notebook server: `provisioner.py` asks the launcher for one (`asking.py`) if `choice.py`
says that it would be as the ordinary one, `forked.py` is the process that came of it, `ends.py` remembers why kernels
are no more and `handlers.py` tells. In the template and in the kernel itself: `app.py`, `preload.py`, `libraries.py`.
"""
