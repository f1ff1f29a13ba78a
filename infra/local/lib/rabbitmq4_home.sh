# shellcheck shell=bash
#
# The home folder of RabbitMQ 4, which is too new for the machine's own Debian: packages of a later Debian release,
# unpacked beside the system and never installed into it. apt resolves, verifies and fetches them with lists and a
# cache of its own, from the mirror that the machine uses; root is not needed. Built in a temporary folder and renamed
# at the end, so that an interrupted install never leaves half a home. The folder may be moved, or copied elsewhere.
#
#   usr/lib/rabbitmq    the server and its command line tools
#   usr/lib/erlang      Erlang; each native program NAME has become NAME.native, and NAME a script that starts it
#   usr/lib/<machine>   the C library and the others those programs want: the machine's own may be too old
#   stamp               what this home was built for

readonly rabbitmq4_release=trixie rabbitmq4_keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# To be raised whenever a home that was built before must be built again.
readonly rabbitmq4_format=1
# Of all that the packages depend on, what a server that is not installed needs: no users, no Python, no service files.
readonly rabbitmq4_packages='^(rabbitmq-server|erlang-.*|lib.*|zlib1g)$' rabbitmq4_packages_not='^lib(pam|python|sem|sepol)'

rabbitmq4_home() { printf '%s/rabbitmq-4' "$(cache_dir)"; }

rabbitmq4_stamp() { printf '%s, format %s\n' "$rabbitmq4_release" "$rabbitmq4_format"; }

rabbitmq4_home_is_whole() {
    local home
    home=$(rabbitmq4_home)
    [[ -s $home/stamp && $(<"$home/stamp") == "$(rabbitmq4_stamp)" ]]
}

# Call under the lock of install.
rabbitmq4_home_install() (
    local home building
    if rabbitmq4_home_is_whole; then return 0; fi
    home=$(rabbitmq4_home)
    say "putting RabbitMQ 4 together in $home"
    # Removes the remains of an interrupted install.
    rm -rf -- "$home".building.*
    building=$(mktemp -d -- "$home.building.XXXXXX")
    trap 'rm -rf -- "$building"' EXIT
    # mktemp's folder is for its owner only, but a cache folder may be shared.
    chmod 755 -- "$building"
    rabbitmq4_fetch "$building/apt" >&2
    rabbitmq4_unpack "$building"
    rabbitmq4_wrap_programs "$building"
    rabbitmq4_replace_erl "$building/usr/lib/erlang"
    rm -rf -- "$building/apt"
    rabbitmq4_stamp >"$building/stamp"
    rm -rf -- "$home"
    mv -T -- "$building" "$home"
)

# === packages ===

rabbitmq4_fetch() {
    local apt=$1 names
    command -v apt-get >/dev/null || fail "RabbitMQ 4 comes from Debian's packages, and there is no apt-get here"
    [[ -s $rabbitmq4_keyring ]] || fail "$rabbitmq4_keyring is missing; install the package debian-archive-keyring"
    mkdir -p -- "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/packages"
    : >"$apt/status"
    rabbitmq4_apt_configuration "$apt" >"$apt/apt.conf"
    printf 'deb [signed-by=%s] %s %s main\n' "$rabbitmq4_keyring" "$(rabbitmq4_mirror)" "$rabbitmq4_release" \
        >"$apt/sources.list"
    rabbitmq4_apt "$apt" update -q || fail "apt could not read the package lists of $rabbitmq4_release; see above"
    names=$(rabbitmq4_apt "$apt" install --simulate --no-install-recommends rabbitmq-server |
        awk -v wanted="$rabbitmq4_packages" -v not="$rabbitmq4_packages_not" \
            '$1 == "Inst" && $2 ~ wanted && $2 !~ not { print $2 }')
    [[ $names == *rabbitmq-server* ]] || fail "apt finds no way to install rabbitmq-server from $rabbitmq4_release"
    # shellcheck disable=SC2086  # names of packages hold no spaces
    (cd -- "$apt/packages" && rabbitmq4_apt "$apt" download -q $names) || fail "apt could not fetch RabbitMQ 4; see above"
}

# The first source of Debian itself among the machine's own; its security archive is another.
rabbitmq4_mirror() {
    local mirror=${PACELINE_DEBIAN_MIRROR-}
    # The braces are apt's, not the shell's.
    # shellcheck disable=SC2016
    [[ -n $mirror ]] || mirror=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $2 == "Debian" && !found { print $3; found = 1 }')
    [[ -n $mirror ]] || fail "found no Debian mirror in apt's configuration; run apt-get update, or set PACELINE_DEBIAN_MIRROR"
    printf '%s' "$mirror"
}

# Read after the machine's configuration, whose proxies and certificates hold on, but not its hooks.
rabbitmq4_apt() {
    local apt=$1
    shift
    DEBIAN_FRONTEND=noninteractive apt-get --config-file "$apt/apt.conf" "$@" </dev/null
}

rabbitmq4_apt_configuration() {
    local apt=$1
    cat <<END_OF_CONFIGURATION
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State "$apt";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Log "$apt";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
APT::Sandbox::User "$(id -un)";
END_OF_CONFIGURATION
}

rabbitmq4_unpack() {
    local home=$1 package
    for package in "$home"/apt/packages/*.deb; do
        dpkg-deb -x "$package" "$home" || fail "could not unpack $package"
    done
    # Documents, service files and commands for a system that has it installed.
    (cd -- "$home" && rm -rf -- etc var usr/share usr/bin usr/sbin usr/lib/systemd)
}

# === programs ===

# A program of a later release may want a later C library. It is started by the loader that came with it, which looks
# for libraries in the home only; what the program starts in turn, such as the machine's shell, is not concerned.
rabbitmq4_wrap_programs() {
    local home=$1 loader libraries program upwards
    loader=$(find "$home/usr/lib" -name 'ld-linux*.so.*' -type f)
    [[ -x $loader ]] || fail "the C library of $rabbitmq4_release has no loader where it is expected"
    libraries=${loader%/*}
    while IFS= read -r -d '' program; do
        if ! rabbitmq4_is_native "$program"; then continue; fi
        mv -- "$program" "$program.native"
        upwards=$(realpath --relative-to "${program%/*}" -- "$libraries")
        rabbitmq4_wrapper "$upwards" "${loader##*/}" >"$program"
        chmod 755 -- "$program"
    done < <(find "$home/usr/lib/erlang" -type f -perm -u+x ! -name '*.so' -print0)
}

rabbitmq4_is_native() { [[ $(head -c 4 -- "$1" | tr -d '\0') == $'\x7fELF' ]]; }

rabbitmq4_wrapper() {
    cat <<END_OF_WRAPPER
#!/bin/sh
self=\$(readlink -f -- "\$0")
libraries=\${self%/*}/$1
exec "\$libraries/$2" --library-path "\$libraries" --argv0 "\$0" "\$self.native" "\$@"
END_OF_WRAPPER
}

# Erlang's own script knows one folder only, the one that it is installed in.
rabbitmq4_replace_erl() {
    local erlang=$1 runtime
    runtime=$(cd -- "$erlang" && printf '%s' erts-*)
    cat >"$erlang/bin/erl" <<END_OF_ERL
#!/bin/sh
self=\$(readlink -f -- "\$0")
ROOTDIR=\${self%/bin/erl}
BINDIR=\$ROOTDIR/$runtime/bin
EMU=beam
PROGNAME=erl
export ROOTDIR BINDIR EMU PROGNAME
exec "\$BINDIR/erlexec" "\$@"
END_OF_ERL
    ln -sf -- ../../bin/erl "$erlang/$runtime/bin/erl"
}
