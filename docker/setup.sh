#!/usr/bin/env bash
# Run once by docker/compose.yaml, as root: certificates, passwords and the first key, into /certs.
# What is there stays.
set -euo pipefail
umask 077
export OPENSSL_CONF=/dev/null  # everything is said here
cd "${1:-/certs}"

random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

if [ ! -s ca.pem ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
    -subj '/CN=floe authority' -addext basicConstraints=critical,CA:TRUE \
    -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.pem 2>/dev/null
fi
for service in $SERVICES; do
  [ ! -s "$service.pem" ] || continue
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$service" \
    -keyout "$service.key" -out "$service.csr" 2>/dev/null
  openssl x509 -req -in "$service.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 \
    -extfile <(printf 'subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1' "$service") \
    -out "$service.pem" 2>/dev/null
  rm "$service.csr"
done

[ -s postgres.password ] || random 24 >postgres.password
[ -s services.password ] || random 24 >services.password
for service in $DATABASES; do
  printf 'host=postgres dbname=floe user=%s password=%s\n' "$service" "$(cat services.password)" >"$service.url"
done
[ -s redis.password ] || random 24 >redis.password
printf 'redis://:%s@redis:6379/0\n' "$(cat redis.password)" >redis.url
printf 'requirepass %s\n' "$(cat redis.password)" >redis.conf

# The form of gateway/auth/secret.h: 43 random characters and the start of their SHA-256.
if [ ! -s admin.key ]; then
  body=$(tr -dc 'A-Za-z0-9' </dev/urandom | head -c 43 || true)
  printf 'floe-%s%s\n' "$body" "$(printf %s "$body" | sha256sum | cut -c1-6)" >admin.key
fi

# Services and Redis read as user 10001, Postgres as its own: what is secret is for their groups alone.
chown -R 10001:10001 .
chmod 0644 ca.pem postgres.password services.password
chmod 0755 .
