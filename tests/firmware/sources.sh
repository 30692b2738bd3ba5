# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Fetches Debian's packages and source packages by apt, beside the system's own state.
# To be sourced by bash; apt is told where its files are by APT_CONFIG.

SOURCES_UNAVAILABLE=75 # EX_TEMPFAIL
APT_FOLDER="${WATCHWORD_APT_FOLDER:-/etc/apt}" # another one in tests

unavailable() { # SENTENCE
    printf 'no sources: %s\n' "$1" >&2
    exit "$SOURCES_UNAVAILABLE"
}

# Writes a list like the machine's own one for Debian, for sources and packages; 1 if there is none.
# A file comes whole or not at all: another flavour's apt may be reading the one of before.
derive_list() { # FOLDER
    local own="$APT_FOLDER/sources.list.d/debian.sources" old="$APT_FOLDER/sources.list"
    if [ -s "$own" ]; then
        sed 's/^Types:.*/Types: deb deb-src/' -- "$own" >"$1/new.$$"
        mv -- "$1/new.$$" "$1/debian.sources"
    elif grep -qs '^deb ' -- "$old"; then
        sed -n 's/^deb \(.*\)/deb \1\ndeb-src \1/p' -- "$old" >"$1/new.$$"
        mv -- "$1/new.$$" "$1/debian.list"
    else
        return 1
    fi
}

# Points apt at a private state in FOLDER and refreshes it, at most once a day.
use_debians_sources() { # FOLDER
    local folder="$1"
    command -v apt-get >/dev/null || unavailable "there is no apt-get (Debian package apt)"
    mkdir -p -- "$folder"/{lists,archives}/partial "$folder/parts"
    derive_list "$folder/parts" ||
        unavailable "neither sources.list.d/debian.sources nor sources.list in $APT_FOLDER names any"
    cat >"$folder/apt.conf.$$" <<TEXT
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$folder/parts";
Dir::State::lists "$folder/lists";
Dir::Cache "$folder";
Dir::Cache::archives "$folder/archives";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Update::Error-Mode "any";
TEXT
    mv -- "$folder/apt.conf.$$" "$folder/apt.conf"
    export APT_CONFIG="$folder/apt.conf"
    # Two flavours may be built at once; the lists are theirs together.
    (
        flock 8
        [ -z "$(find "$folder/refreshed" -mmin -1440 2>/dev/null)" ] || exit 0
        if apt-get -qq update >"$folder/log" 2>&1 </dev/null; then
            touch -- "$folder/refreshed"
        elif [ ! -e "$folder/refreshed" ]; then
            unavailable "apt-get update failed: $(tail -n 1 -- "$folder/log")"
        fi
    ) 8>"$folder/lock"
}

# Name and newest version of each package, a line each; `src:` marks a source package.
versions_of() { # PACKAGE…
    local package version
    [ $# != 0 ] || unavailable "Debian's lists here have no linux-image-cloud-amd64"
    for package; do
        case "$package" in
            src:*)
                version="$(apt-cache --only-source showsrc "${package#src:}" 2>/dev/null |
                    sed -n 's/^Version: //p' | sort -V | tail -n 1)"
                ;;
            *) version="$(apt-cache --no-all-versions show "$package" 2>/dev/null |
                sed -n 's/^Version: //p')" ;;
        esac
        [ -n "$version" ] || unavailable "Debian's lists here have no $package"
        printf '%s %s\n' "$package" "$version"
    done
}

# The package that Debian's newest cloud kernel is in now, and those whose scripts open its disk.
stock_kernel_packages() {
    apt-cache --no-all-versions show linux-image-cloud-amd64 2>/dev/null |
        sed -n 's/^Depends: \(linux-image-[^ ]*\).*/\1 cryptsetup cryptsetup-initramfs initramfs-tools-core/p'
}

# Puts the packages' files into the current folder: sources unpacked, others as .deb.
fetch() { # PACKAGE…
    local package
    for package; do
        case "$package" in
            src:*)
                apt-get -qq source --download-only "${package#src:}" >fetch.log 2>&1 </dev/null ||
                    unavailable "${package#src:} can't be fetched: $(tail -n 1 fetch.log)"
                # apt has checked the signature that stands over these files.
                dpkg-source --no-check -x "${package#src:}"_*.dsc "${package#src:}" >fetch.log 2>&1
                ;;
            *)
                apt-get -qq download "$package" >fetch.log 2>&1 </dev/null ||
                    unavailable "$package can't be fetched: $(tail -n 1 fetch.log)"
                ;;
        esac
    done
}
