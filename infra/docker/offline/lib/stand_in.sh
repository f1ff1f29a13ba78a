# shellcheck shell=bash
#
# Building one stand-in: its name is read from where it is used, and an official image of that name is never replaced.

readonly stand_in_label=paceline.stand-in

# The first image of the compose file that begins with these letters.
image_in_compose() { first_match "s|^ *image: *\($1:[^ ]*\)\$|\1|p" "$repository/docker-compose.yml"; }

# The first image of the Dockerfile that begins with these letters.
image_in_dockerfile() { first_match "s|^FROM  *\($1[^ ]*\).*|\1|p" "$repository/infra/docker/Dockerfile"; }

first_match() {
    local name
    name=$(sed -n "$1" "$2" | head -n 1)
    [[ -n $name ]] || fail "found no image in $2"
    printf '%s' "$name"
}

paceline_image() {
    printf '%s' "${PACELINE_IMAGE:-$(first_match 's|^ *image: .*PACELINE_IMAGE:-\([^}]*\).*|\1|p' "$repository/docker-compose.yml")}"
}

stand_in_build() {
    local folder=$1 image=$2 context=$3 release=$4
    if is_official "$image"; then
        say "$image is here and is not a stand-in: left as it is"
        return 0
    fi
    base_make "$release"
    say "building a stand-in for $image"
    docker_build "$image" "$context" -f "$offline_dir/$folder/Dockerfile" --build-arg BASE="$(base_image "$release")"
}

is_official() {
    local labels
    labels=$(docker image inspect --format '{{json .Config.Labels}}' "$1" 2>/dev/null) || return 1
    [[ $labels != *"\"$stand_in_label\""* ]]
}

# Packages come over the network of the machine, whose mirror may be on it.
docker_build() {
    local image=$1 context=$2 output
    shift 2
    [[ -e $apt_secret ]] || (umask 077 && apt_as_outside >"$apt_secret")
    output=$(DOCKER_BUILDKIT=1 docker build --network host --secret id=apt,src="$apt_secret" --label "$stand_in_label=true" --tag "$image" "$@" "$context" 2>&1) || {
        printf '%s\n' "$output" | tail -n 40 >&2
        fail "could not build $image; see above"
    }
}

# === folders to build from ===

contexts=$(mktemp -d -- "${TMPDIR:-/tmp}/paceline-images.XXXXXX")

readonly apt_secret=$contexts/apt.conf

context_new() { mktemp -d -- "$contexts/XXXXXX"; }

contexts_remove() { rm -rf -- "$contexts"; }
