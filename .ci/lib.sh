# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC1090
# What ./try, ./test and .ci/run share: words, a Python, Debian packages, the virtual environment.
# To be sourced by bash; sets ROOT (the top of the tree) and VENV.

# A caller's settings of Python and pip, or a closed stdin, must not decide what happens here.
unset PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX PIP_ROOT
export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
{ : 3<&0; } 2>/dev/null || exec </dev/null

ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
VENV="$ROOT/.venv"

# Newest first; the last one is for a PATH that hides the system's own.
PYTHONS=(python3.14 python3.13 python3.12 python3.11 python3 /usr/bin/python3)
OS_RELEASE=/etc/os-release

# What pip says when a download did not happen.
NO_NETWORK='name resolution|new connection|unreachable|timed? ?out|proxyerror|connection (refused|reset|broken)|no matching distribution'
NOT_THE_NETWORK='DO NOT MATCH THE HASHES|CERTIFICATE_VERIFY_FAILED'

say() { printf '%s\n' "$*"; }

fail() { # STATUS SENTENCE
    printf '%s\n' "$2" >&2
    exit "$1"
}

# Prints the path of the first Python >= 3.11 that can make a virtual environment; 1 if there is none.
# It is run, not only looked up: pyenv leaves names in PATH that do nothing, and Debian's python3
# has no ensurepip without python3-venv. Inside an activated environment the Python below it is
# named, because the environment may be about to be replaced.
find_python() {
    local name path
    for name in "${PYTHONS[@]}"; do
        path="$(command -v -- "$name" 2>/dev/null)" || continue
        path="$("$path" -I -c 'import sys, ensurepip, venv
if sys.version_info >= (3, 11): print(sys._base_executable or sys.executable)' 2>/dev/null)" || continue
        [ -x "$path" ] || continue
        printf '%s\n' "$path"
        return 0
    done
    return 1
}

# The Debian packages that hold a suitable Python here, or nothing where no apt line would help.
python_packages() {
    command -v apt-get >/dev/null || return 0
    local name
    # In a subshell: os-release is a list of shell assignments.
    name="$(. "$OS_RELEASE" 2>/dev/null && printf '%s' "${UBUNTU_CODENAME:-${VERSION_CODENAME:-}}")" || name=""
    case "$name" in
        jammy) printf 'python3.11 python3.11-venv' ;;
        bionic | focal | buster | bullseye) ;; # their archives have no Python 3.11
        *) printf 'python3-venv' ;;
    esac
}

# One sentence and, where there is one, the line to type.
explain_no_python() {
    local packages
    packages="$(python_packages)"
    if [ -n "$packages" ]; then
        say "Watchword needs Python 3.11 or later with its venv module, and there is none here; this line gets it:"
        say "  apt install $packages"
    else
        say "Watchword needs Python 3.11 or later with its venv module (ensurepip), and there is none here."
    fi
}

# Those of the named Debian packages that are not installed, on one line.
missing_packages() {
    local package missing=()
    for package; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' -- "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done
    printf '%s' "${missing[*]-}"
}

# The packages a list file names: one a line, `#` begins a comment.
packages_in() {
    sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' -- "$1"
}

# apt-get without questions; sudo is for the caller to put in front: apt_install [sudo] -- PACKAGE…
apt_install() {
    local as=()
    while [ "$1" != -- ]; do as+=("$1") && shift; done
    shift
    local apt=("${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
    "${apt[@]}" update </dev/null >/dev/null &&
        "${apt[@]}" install -y --no-install-recommends "$@" </dev/null >/dev/null
}

# One installer at a time: the lock is on the directory itself, so that no file is left behind.
lock_tree() {
    exec 9<"$ROOT"
    command -v flock >/dev/null || return 0
    flock -n 9 2>/dev/null && return 0
    say "Waiting for another ./try or ./test that is installing here."
    flock 9 2>/dev/null || return 0 # some network file systems can't lock
}

unlock_tree() { exec 9<&-; }

# What .venv must have been made of and for; PARTS names a file in requirements/.
ready_text() { # PARTS
    printf 'where=%s\nparts=%s\n' "$VENV" "$1"
    cat -- "$ROOT/pyproject.toml" "$ROOT/requirements/$1.txt" | sha256sum
}

# Whether .venv is complete and fits. The file `ready` is written last, so a half-made .venv has none;
# importing shows that the Python below it is still the same.
venv_ready() { # PARTS…  (any of them will do)
    local parts
    "$VENV/bin/python" -I -c 'import watchword.core' >/dev/null 2>&1 || return 1
    for parts; do
        [ "$(cat -- "$VENV/ready" 2>/dev/null)" = "$(ready_text "$parts")" ] && return 0
    done
    return 1
}

# Runs pip in .venv; when it fails, says why in a sentence and leaves with status 1.
quiet_pip() {
    local log
    log="$(mktemp)"
    if (cd -- "$ROOT" && "$VENV/bin/python" -m pip --retries 1 "$@") </dev/null >"$log" 2>&1; then
        rm -f -- "$log"
        return 0
    fi
    if grep -qiE "$NO_NETWORK" "$log" && ! grep -qE "$NOT_THE_NETWORK" "$log"; then
        rm -f -- "$log"
        fail 1 "The Python packages can't be downloaded: there is no network, or the package index that pip knows can't be reached or lacks them; connect (or tell pip of your proxy or mirror) and run this again."
    fi
    tail -n 12 -- "$log" >&2
    rm -f -- "$log"
    fail 1 "pip could not install the Python packages (its last words are above); mend that and run this again."
}

new_venv() { # PYTHON DIRECTORY
    local words
    words="$("$1" -I -m venv "$2" 2>&1 </dev/null)" ||
        fail 1 "Can't make a virtual environment in $2: ${words##*$'\n'}"
}

# The larger parts that hold PARTS too, itself included: core is in gui, and gui is in ci.
parts_holding() { # PARTS
    case "$1" in
        core) printf 'core gui ci' ;;
        gui) printf 'gui ci' ;;
        *) printf '%s' "$1" ;;
    esac
}

# Makes .venv hold PARTS (core, gui or ci); installs only if it must.
ensure_venv() { # PARTS
    local holding
    read -ra holding <<<"$(parts_holding "$1")"
    venv_ready "${holding[@]}" && return 0
    lock_tree
    if ! venv_ready "${holding[@]}"; then # another run may have made it meanwhile
        local python
        [ -w "$ROOT" ] || fail 1 "Can't write to $ROOT, where .venv is to be made: use a copy of your own."
        if ! { grep -qsxF "where=$VENV" "$VENV/ready" && "$VENV/bin/python" -I -c ''; } 2>/dev/null; then
            python="$(find_python)" || { explain_no_python >&2 && exit 2; }
            [ ! -e "$VENV" ] || say "Replacing .venv, which is incomplete or was made elsewhere."
            rm -rf -- "$VENV" || fail 1 "Can't remove $VENV."
            new_venv "$python" "$VENV"
        fi
        say "Installing the Python packages into .venv (once)."
        rm -f -- "$VENV/ready"
        quiet_pip install --require-hashes -r "requirements/$1.txt"
        quiet_pip install --no-deps --no-build-isolation -e .
        ready_text "$1" >"$VENV/ready"
    fi
    unlock_tree
}
