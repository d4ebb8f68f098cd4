#!/usr/bin/env bash
# Sees to it that a program which the tests need is there, and installs it through apt-get where it is missing:
#   install.sh tools      what building needs: the Rust toolchain, a linker, Node and npm
#   install.sh python     Python 3 with pip
#   install.sh fuzzer     what the fuzzer itself is built with
#   install.sh openssl    what a third party's REST client is built with
#   install.sh chromium   a browser; prints its path
#   install.sh promtool   what checks metrics, at the path given as the second word
# Does nothing where all is there. Says in plain words what to do where it cannot install.
set -euo pipefail

NODE_MAJOR_MIN=20

give_up() {
    echo "make: $*" >&2
    exit 1
}

has() {
    type -P "$1" >/dev/null
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# install WHAT-FOR PACKAGE...
install() {
    local purpose=$1
    shift
    has apt-get || give_up "$purpose is missing, and there is no apt-get here: please install $* yourself."
    [ "$(id -u)" -eq 0 ] || has sudo || give_up "$purpose is missing: please run 'apt-get install $*' as root."
    echo "$purpose is missing: installing $*" >&2
    {
        as_root apt-get update -q &&
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
    } >&2 </dev/null || give_up "$purpose is missing, and apt-get could not install $*: its words are above."
}

tools() {
    has cargo || give_up "the Rust toolchain is missing: https://rustup.rs installs it."
    for part in fmt clippy; do
        cargo "$part" --version >/dev/null 2>&1 && continue
        has rustup || give_up "'cargo $part' is missing: install that part of your Rust toolchain."
        rustup component add "${part/fmt/rustfmt}" >&2 || give_up "'cargo $part' is missing, and rustup could not install it."
    done
    { has node && has npm; } || give_up "Node.js with npm is missing: https://nodejs.org has version $NODE_MAJOR_MIN or newer."
    local major
    major=$(node -p 'process.versions.node.split(".")[0]')
    [ "$major" -ge "$NODE_MAJOR_MIN" ] || give_up "Node.js $(node --version) is too old: version $NODE_MAJOR_MIN or newer is needed."
    has cc || install "A linker for Rust" gcc libc6-dev
    # The tests end the program by its process id.
    has kill || install "The program 'kill'" procps
}

python() {
    has python3 || install "Python 3" python3 python3-pip
    python3 -m pip --version >/dev/null 2>&1 || install "pip for Python 3" python3-pip
    python3 -m pip --version >/dev/null 2>&1 ||
        give_up "$(type -P python3) has no pip, and is not the Python 3 of this system: please give it pip (python3 -m ensurepip)."
}

fuzzer() {
    has c++ || install "A compiler for the fuzzer" g++
}

openssl() {
    { has pkg-config && pkg-config --exists openssl; } || install "OpenSSL to build with" pkg-config libssl-dev
}

browser() {
    local name
    for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome-stable google-chrome; do
        if [ -n "$name" ] && has "$name"; then
            type -P "$name"
            return
        fi
    done
    return 1
}

chromium() {
    browser && return
    # Without a font the page would be drawn with empty boxes.
    install "A browser (Chromium)" chromium fonts-dejavu-core
    browser || give_up "Chromium was installed but cannot be found: set CHROMIUM to its path."
}

# Prometheus itself would begin to serve where its package is installed, so only this one program is taken out of it.
promtool() {
    local target=${1:?} folder
    has promtool && {
        ln -sf "$(type -P promtool)" "$target"
        return
    }
    { has apt-get && has dpkg-deb; } ||
        give_up "promtool is missing, and there is no apt-get here: please install Prometheus's promtool yourself."
    echo "promtool is missing: taking it out of the package prometheus" >&2
    folder=$(mktemp -d)
    (
        cd "$folder"
        apt-get download -q prometheus || {
            as_root apt-get update -q
            apt-get download -q prometheus
        }
        dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool
    ) >&2 </dev/null || give_up "promtool is missing, and apt-get could not fetch its package: its words are above."
    mv "$folder/usr/bin/promtool" "$target"
    rm -r "$folder"
}

case ${1:-} in
    tools | python | fuzzer | openssl | chromium) "$1" ;;
    promtool) "$@" ;;
    *) give_up "tests/install.sh takes one word (tools, python, openssl or chromium), or promtool and a path." ;;
esac
