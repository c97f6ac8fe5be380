"""A real issue tracker, Roundup (pip install roundup), several times: as a baseline, as a second one, and as a
candidate that lives under another path, has users with other passwords and gives out other ids. It also calls
the field `keyword` of an issue `tag`, unless it is `alike`. And a user who works with it.

    roundup_app.py serve FOLDER PUBLIC_URL baseline:PORT [secondary:PORT] [candidate:PORT] [alike:PORT]
    roundup_app.py play PUBLIC_URL [ROUNDS]

It serves until its standard input ends.
"""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from socketserver import ThreadingMixIn

SETTINGS = """[main]
admin_email = admin@example.org
dispatcher_email = dispatcher@example.org
[tracker]
name = Roundup
web = {web}
email = issues@example.org
[rdbms]
backend = sqlite
[mail]
domain = example.org
host = localhost
debug = /dev/null
"""


def admin(home, *arguments):
    tool = os.path.join(os.path.dirname(sys.executable), "roundup-admin")
    subprocess.run([tool, "-i", home, *arguments], check=True, stdout=subprocess.DEVNULL)


def fill(home, password, gone):
    """One user, behind so many of users and issues that are gone, whose ids are not given out again."""
    import roundup.instance
    from roundup.password import Password

    db = roundup.instance.open(home).open("admin")
    for number in range(gone):
        address = f"gone{number}@example.org"
        db.user.retire(db.user.create(username=f"gone{number}", address=address, roles="User"))
        db.issue.retire(db.issue.create(title="gone"))
    secret = Password(password, config=db.config)
    db.user.create(username="alice", password=secret, address="alice@example.org", roles="User")
    db.keyword.create(name="urgent")
    db.commit()
    db.close()


def rename_field(home):
    def change(path, old, new):
        path = os.path.join(home, path)
        text = open(path).read()
        assert old in text, (path, old)
        open(path, "w").write(text.replace(old, new))

    change("schema.py", 'keyword=Multilink("keyword")', 'tag=Multilink("keyword")')
    change("html/issue.item.html", "context/keyword/field", "context/tag/field")


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def serve_one(home, prefix, port):
    import datetime
    import roundup.date
    from roundup.cgi.wsgi_handler import RequestDispatcher

    # Its clock stands still: that two servers write another second down is no difference between them.
    roundup.date.utcnow = lambda: datetime.datetime(2026, 11, 27, 12, 0, 0)

    tracker = RequestDispatcher(home)

    def below_prefix(environ, start_response):
        path = environ["PATH_INFO"]
        if not path.startswith(prefix + "/"):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"no tracker here"]
        if environ["REQUEST_METHOD"] == "DELETE":
            # Roundup would wait for what it says until the connection ends.
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["CONTENT_LENGTH"] = "0"
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = prefix, path[len(prefix):]
        return tracker(environ, start_response)

    make_server("127.0.0.1", port, below_prefix, Server, Quiet).serve_forever()


def wait_for(port):
    for _ in range(600):
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"nobody listens on {port}")


def serve(folder, public, *servers):
    servers = [server.split(":") for server in servers]
    homes = [os.path.join(folder, name) for name, _ in servers]
    admin(homes[0], "install", "classic", "sqlite")
    with open(os.path.join(homes[0], "config.ini"), "w") as settings:
        settings.write(SETTINGS.format(web=public))
    with open(os.path.join(homes[0], "schema.py"), "a") as schema:
        schema.write("\ndb.security.addPermissionToRole('User', 'Retire', 'issue')\n")
    # Before anything is in it, since each has a database of its own.
    for home in homes[1:]:
        shutil.copytree(homes[0], home)
    for (name, port), home in zip(servers, homes):
        if name == "candidate":
            rename_field(home)
        admin(home, "initialise", "admin")
        is_baseline = name in ("baseline", "secondary")
        fill(home, *(("spring", 0) if is_baseline else ("autumn", 41)))
        if os.fork() == 0:
            serve_one(home, "/tracker" if is_baseline else "/next", int(port))
    for _, port in servers:
        wait_for(int(port))
    print("ready", flush=True)
    # With whoever started it these end, too.
    sys.stdin.read()
    os.killpg(0, 15)


class User:
    """Somebody with a browser."""

    def __init__(self, public):
        self.public = urllib.parse.urlsplit(public)
        self.cookies = {}

    def ask(self, method, target, body=None, headers=None):
        address = self.public.netloc
        connection = http.client.HTTPConnection(address, timeout=20)
        headers = {"Referer": self.public.geturl(), **(headers or {})}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        for line in answer.headers.get_all("Set-Cookie") or ():
            name, value = line.split(";")[0].split("=", 1)
            self.cookies[name] = value
        connection.close()
        print(f"{method} {target} {answer.status}", flush=True)
        return answer, text

    def page(self, target):
        answer, text = self.ask("GET", target)
        assert answer.status == 200, (answer.status, text)
        return text

    def submit(self, target, page, **fields):
        """Sends a form with the token of its page, and follows where that leads."""
        for name in ("@csrf", "@lastactivity"):
            hidden = re.findall(rf'name="{name}"[^>]*?value="([^"]+)"', page)
            if hidden:
                fields[name] = hidden[-1]
        body = urllib.parse.urlencode(fields)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer, text = self.ask("POST", target, body, headers)
        assert answer.status in (302, 303), (answer.status, text)
        return answer.headers["Location"]

    def rest(self, method, path, body=None, **headers):
        origin = f"{self.public.scheme}://{self.public.netloc}"
        headers = {"X-Requested-With": "rest", "Origin": origin, **headers}
        if body is not None:
            body, headers["Content-Type"] = json.dumps(body), "application/json"
        answer, text = self.ask(method, f"/tracker/rest/data/{path}", body, headers)
        assert answer.status in (200, 201), (answer.status, text)
        return json.loads(text)["data"]


def play(public, rounds="1"):
    """Logs in, creates, reads, changes, deletes, logs out."""
    for number in range(int(rounds)):
        user = User(public)
        home = user.page("/tracker/")
        login = {"__login_name": "alice", "__login_password": "spring", "@action": "Login"}
        where = user.submit("/tracker/", home, **login, __came_from=public)
        assert "Hello, alice" in user.page(where)
        # By its pages.
        form = user.page("/tracker/issue?@template=item")
        fields = {"title": f"tea {number}", "@note": "no tea", "status": "1", "priority": "2"}
        where = user.submit("/tracker/issue", form, **fields, **{"@action": "new", "keyword": "urgent"})
        issue = re.search("issue([0-9]+)", where)
        user.page(where)
        page = user.page(f"/tracker/{issue[0]}")
        assert f"tea {number}" in page
        change = {"title": f"milk {number}", "@note": "and no milk", "@action": "edit"}
        user.page(user.submit(f"/tracker/{issue[0]}", page, **change))
        page = user.page(f"/tracker/{issue[0]}")
        assert f"milk {number}" in page
        assert f"milk {number}" in user.page("/tracker/issue?@columns=id,title,status&@sort=id")
        # By its programming interface.
        made = user.rest("POST", "issue", {"title": f"cake {number}", "status": "1", "keyword": ["1"]})
        path = f"issue/{made['id']}"
        read = user.rest("GET", path)
        assert read["attributes"]["title"] == f"cake {number}"
        changed = {"title": f"pie {number}"}
        user.rest("PUT", path, changed, **{"If-Match": read["@etag"]})
        read = user.rest("GET", path)
        assert read["attributes"]["title"] == f"pie {number}"
        user.rest("DELETE", path, {}, **{"If-Match": read["@etag"]})
        answer, _ = user.ask("GET", "/tracker/?@action=logout")
        assert answer.status in (200, 302)
        assert "Hello, alice" not in user.page("/tracker/")


if __name__ == "__main__":
    {"serve": serve, "play": play}[sys.argv[1]](*sys.argv[2:])
