"""Hypothesis profiles, chosen by the variable ``HYPOTHESIS_PROFILE``.

``fast``, the default, is part of ``make test``: derandomised, the same examples each time for the
same tests.  That finds little after the first run, but a change is never refused for what it did
not do; new examples are drawn by ``deep``, which is ``make deep``, and by ``quick``, which stops at
the first failing one.
"""

import os

from hypothesis import HealthCheck, Phase, settings

# Neither has a deadline: a loaded machine is not a failing example.
_COMMON = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Without shrinking: a failure may take five minutes to become smaller, and CI has no patience.
settings.register_profile(
    "fast",
    parent=_COMMON,
    max_examples=60,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    print_blob=True,
)
# For finding out: the first failing example, at once.
settings.register_profile(
    "quick", parent=_COMMON, max_examples=300, phases=[Phase.generate], print_blob=True
)
# Without a database, so that commit, seed and number of examples say everything (tools/deep.py);
# without shrinking, which takes minutes from the next chunk: whoever mends it has the seed.
settings.register_profile(
    "deep",
    parent=_COMMON,
    phases=[Phase.explicit, Phase.generate],
    max_examples=int(os.environ.get("DEEP_EXAMPLES", "400")),
    database=None,
    print_blob=True,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))
