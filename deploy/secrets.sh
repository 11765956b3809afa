#!/bin/sh
# Draws every secret that docker-compose.yml wants, once: a file that is there is never touched, because the two key
# files open every stored token. `make secrets`, or: sh deploy/secrets.sh [folder]. For the demo, whose client is made
# up as well: sh deploy/secrets.sh --demo.
#
# Who may read them: Compose mounts each file as it is, owner and mode included, and the program inside is another user
# (65532) than you. So the folder is closed to everybody but you, and the files in it are readable: nobody on this
# machine gets past the folder, while a container gets exactly the files that its service names.
#
# To change one while the broker runs, write into the file that is there (cat new >secrets/x_cal_secret_key), and it is
# read again: a file that was put in its place is only seen after `docker compose up --force-recreate`.
set -eu

demo=''
if [ "${1:-}" = --demo ]; then
    demo=yes
    shift
fi
folder=${1:-secrets${demo:+/demo}}

there() { command -v "$1" >/dev/null 2>&1; }
refuse() {
    printf '%s\n' "$@" >&2
    exit 1
}

# In a pipe nobody would notice, and half a secret would be kept for good.
for program in base64 cut head od tr; do
    there "$program" || refuse "$program is missing: nothing was drawn."
done
there sha256sum || there shasum || refuse 'sha256sum (or shasum) is missing: nothing was drawn.'

sha256() { if there sha256sum; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1; }
random_hex() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
random_key() { printf '%s:%s' "$(date +%Y%m%d)" "$(head -c 32 /dev/urandom | base64 | tr -d '\n')"; }
held() { cat "$folder/$1"; }

# keep NAME VALUE: write a file that is not there yet, whole or not at all.
keep() {
    if [ -e "$folder/$1" ]; then return; fi
    printf '%s\n' "$2" >"$folder/.unfinished"
    ln "$folder/.unfinished" "$folder/$1"
    rm "$folder/.unfinished"
    printf 'made %s/%s\n' "$folder" "$1"
}

# fits URL PASSWORD: an address is made of a password that stands beside it.
fits() {
    if [ ! -e "$folder/$1" ] || [ -e "$folder/$2" ]; then return; fi
    refuse "$folder/$1 is there and $folder/$2, which it is made of, is not: the folder was filled for something else," \
        'such as a broker outside containers (docs/sidecar.md, "Configure it"). Nothing was changed. Draw into another one:' \
        '    sh deploy/secrets.sh secrets/compose && echo SECRETS=./secrets/compose >> .env'
}
fits database_url broker_password
fits migrator_database_url migrator_password
fits redis_url valkey_password

umask 077
mkdir -p "$folder"
chmod 700 "$folder"
rm -f "$folder/.unfinished"

keep postgres_password "$(random_hex)"
keep migrator_password "$(random_hex)"
keep broker_password "$(random_hex)"
keep migrator_database_url "postgresql://token_broker_migrator:$(held migrator_password)@postgres:5432/broker"
keep database_url "postgresql://token_broker:$(held broker_password)@postgres:5432/broker"

keep valkey_password "$(random_hex)"
keep redis_url "redis://token_broker:$(held valkey_password)@valkey:6379/0"
# The broker's own keys, and of the commands what it uses: no FLUSHALL, KEYS, CONFIG or MONITOR for an intruder.
valkey_may='~tb:* ~arq:* &tb:wake -@all +@connection +@string +@sortedset +@hash +@scripting +@transaction +@pubsub'
valkey_may="$valkey_may +del +exists +expire +pexpire +time +dbsize -@dangerous +info"
keep valkey_acl "user default off
user token_broker on #$(held valkey_password | tr -d '\n' | sha256) $valkey_may"

keep encryption_keys "$(random_key)"
keep fingerprint_keys "$(random_key)"

# Your app's key, and what the broker holds of it.
keep app_key "$(random_hex)"
keep api_keys "app:$(held app_key | tr -d '\n' | sha256)"

if [ -n "$demo" ]; then keep x_cal_secret_key "$(random_hex)"; fi
find "$folder" -maxdepth 1 -type f -exec chmod 644 {} +
# No secrets, but mounted as well, and a checkout may be its owner's alone. PostgreSQL's image makes the roles from them
# once: where it cannot, it begins without them for good.
here=$(dirname -- "$0")
chmod a+r "$here/passwords.sql" "$here/../sql/roles/roles.sql"

if [ ! -s "$folder/x_cal_secret_key" ]; then
    cat <<TEXT
One secret is yours to bring: put the secret that Cal.com shows beside your OAuth client's id into
$folder/x_cal_secret_key, and run this again so that the container can read it.
TEXT
fi
echo "Keep a copy of $folder/encryption_keys and $folder/fingerprint_keys apart from the database's backups: without them nobody can read those."
