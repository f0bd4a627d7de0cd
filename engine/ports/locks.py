"""Locks: take, renew and release Redis locks on rows, to order work and keep requests fast.

Correctness doesn't depend on them: the fencing tokens are the claim and the row's version in
PostgreSQL. So without Redis the work goes on without locks, and says so as `degraded`.

The script accepts its own token: redis-py's lock can return False while it holds the lock,
when a reply is lost and the call is sent again.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from engine.ports.redis_client import RedisClient, redis_errors

if TYPE_CHECKING:
    from redis import Redis

KEYS_PER_CALL = 1000

_log = logging.getLogger(__name__)

# The keys come as one list of words in the last argument: encoding a thousand arguments costs
# the client more than everything else in the call.
_KEYS = """
local keys = {}
for key in string.gmatch(ARGV[#ARGV], '%S+') do keys[#keys + 1] = key end
"""

# ARGV: owner, lease in ms, '1' to take all or none, locks.
# Returns position and holder of each contended key, flat.
_ACQUIRE = f"""{_KEYS}
local contended = {{}}
if ARGV[3] == '1' then
  for i, holder in ipairs(redis.call('MGET', unpack(keys))) do
    if holder and holder ~= ARGV[1] then
      contended[#contended + 1] = i; contended[#contended + 1] = holder
    end
  end
  if #contended > 0 then return contended end
end
for i, key in ipairs(keys) do
  if not redis.call('SET', key, ARGV[1], 'NX', 'PX', ARGV[2]) then
    local holder = redis.call('GET', key)
    if holder == ARGV[1] then redis.call('PEXPIRE', key, ARGV[2])
    else contended[#contended + 1] = i; contended[#contended + 1] = holder or '' end
  end
end
return contended
"""

# ARGV: owner, locks. Deletes what is still the owner's.
_RELEASE = f"""{_KEYS}
local mine = {{}}
for i, holder in ipairs(redis.call('MGET', unpack(keys))) do
  if holder == ARGV[1] then mine[#mine + 1] = keys[i] end
end
if #mine > 0 then redis.call('DEL', unpack(mine)) end
return #mine
"""

# ARGV: owner, lease in ms, locks. Renews what is still the owner's.
_RENEW = f"""{_KEYS}
local kept = 0
for i, holder in ipairs(redis.call('MGET', unpack(keys))) do
  if holder == ARGV[1] then kept = kept + redis.call('PEXPIRE', keys[i], ARGV[2]) end
end
return kept
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a lock: an operation, and since when it holds the lock."""

    operation: str
    since: str


class _Renewal:
    """Renews a lease when a third of it has passed since its last renewal."""

    def __init__(self, renew: Callable[[], object], lease_s: float) -> None:
        self._renew = renew
        self._every_s = lease_s / 3
        self._last = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self._last >= self._every_s:
            self._renew()
            self._last = time.monotonic()


def _no_renewal() -> None:
    pass


@dataclass(slots=True)
class Held:
    """The result of an attempt to take locks.

    Attributes:
        contended: The holder of each key that somebody else holds, by the key's position.
        degraded: Redis didn't answer; the work goes on without locks.
        waited_ms: How long taking the locks took.
        renew: Call it between statements: no statement outlasts a lease, so locks are renewed in
            time without a thread of their own.
    """

    contended: dict[int, Holder] = field(default_factory=dict)
    degraded: bool = False
    waited_ms: float = 0.0
    renew: Callable[[], None] = _no_renewal


def row_key(tenant_id: int, kind: str, row_id: int) -> str:
    """Return the name of the lock on one row."""
    return f"lockside:lock:{tenant_id}:{kind}:{row_id}"


class Locks:
    """Takes, renews and releases locks, with a Redis client that doesn't retry."""

    def __init__(self, connect: "Callable[[], Redis]", *, enabled: bool = True) -> None:
        """Keep *connect*, which makes the client; not *enabled* takes no locks, for measuring."""
        self._client = RedisClient(connect)
        self._enabled = enabled

    @contextmanager
    def hold(
        self, keys: Sequence[str], *, claim: str, operation: str, lease_s: float, all_or_none: bool
    ) -> Iterator[Held]:
        """Hold the locks on *keys*, sorted, while the block runs.

        Args:
            keys: Names as `row_key` makes them, without blanks.
            claim: The random token of the claim; only its own locks are released.
            operation: What others see as the holder.
            lease_s: How long a lock outlives a crash of its owner.
            all_or_none: Take no lock if any key is contended.

        Yields:
            Which keys are contended, by position in *keys*; the others are held.
        """
        if not self._enabled:
            yield Held()
            return
        owner = f"{claim} {operation} {datetime.now(UTC).isoformat(timespec='milliseconds')}"
        ms = round(lease_s * 1000)
        held = self._acquire(keys, owner, ms, all_or_none=all_or_none)
        taken = [] if held.contended and all_or_none else keys
        held.renew = _Renewal(lambda: self._run_script(_RENEW, taken, [owner, ms]), lease_s)
        try:
            yield held
        finally:
            # Even if degraded: a call whose reply was lost may have taken its locks.
            self._run_script(_RELEASE, taken, [owner])

    def once(self, name: str, seconds: float) -> bool:
        """Return whether this is the first call for *name* in so many seconds.

        It only saves repeated work, so it returns True if Redis is away.
        """
        try:
            return bool(self._client.redis.set(name, 1, nx=True, px=round(seconds * 1000)))
        except redis_errors() as error:
            _log.warning("redis_away", extra={"at": "once", "error": str(error)})
            return True

    def forget(self, name: str) -> None:
        """Make the next `once` of *name* return True."""
        try:
            self._client.redis.delete(name)
        except redis_errors() as error:
            _log.warning("redis_away", extra={"at": "forget", "error": str(error)})

    def _acquire(self, keys: Sequence[str], owner: str, ms: int, *, all_or_none: bool) -> Held:
        begun = datetime.now(UTC)
        answers = self._run_script(_ACQUIRE, keys, [owner, ms, "1" if all_or_none else "0"])
        held = Held(degraded=answers is None)
        for first, answer in enumerate(answers or []):
            for position, holder in zip(answer[::2], answer[1::2], strict=True):
                held.contended[first * KEYS_PER_CALL + position - 1] = _parse_holder(holder)
        if held.contended and all_or_none:
            self._run_script(_RELEASE, keys, [owner])
        held.waited_ms = (datetime.now(UTC) - begun).total_seconds() * 1000
        return held

    def _run_script(
        self, script: str, keys: Sequence[str], arguments: Sequence[Any]
    ) -> list[Any] | None:
        try:
            call = self._client.script(script)
            return [
                call(args=[*arguments, " ".join(keys[first : first + KEYS_PER_CALL])])
                for first in range(0, len(keys), KEYS_PER_CALL)
            ]
        except redis_errors() as error:
            _log.warning("redis_away", extra={"at": "locks", "error": str(error)})
            return None


def _parse_holder(owner: bytes) -> Holder:
    _claim, _, rest = owner.decode().partition(" ")
    operation, _, since = rest.partition(" ")
    return Holder(operation, since)
