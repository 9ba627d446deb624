# The fleet itself.

heading 'The fleet'
run up
http=$(jq -r .http .floe/fleet.json)
mkdir -p "$folder"
