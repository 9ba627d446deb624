# Step 6: the same answer over HTTP, plain and as a stream.

heading '6. Asking the gateway over HTTP: once plain, once as a stream'
request() {
  jq -cn --arg model "$model" --arg prompt "$prompt" --argjson stream "$1" '{
    model: $model, prompt: $prompt, max_tokens: 48, temperature: 0.7, top_p: 0.9, seed: 7,
    stream: $stream, floe: {cache: "off"} }
    + if $stream then {stream_options: {include_usage: true}} else {} end'
}
dim "\$ curl $http/v1/completions -d '$(request false)'"
ask "$sample/plain" /v1/completions "$(request false)"
plain=$(jq -r '.choices[0].text' "$sample/plain")
printf '%s%s\n' "$prompt" "$plain"
jq -c '{usage, system_fingerprint}' "$sample/plain"

echo
dim '$ curl … "stream": true'
ask "$sample/stream" /v1/completions "$(request true)"
sed -n 's/^data: //p' "$sample/stream" | tr -d '\r' >"$sample/data"
head -n 3 "$sample/stream" | grep .
echo "… $(grep -c . "$sample/data") events, the last: $(tail -n 1 "$sample/data")"
[ "$(tail -n 1 "$sample/data")" = '[DONE]' ] || fail 'the stream did not end with [DONE]'
streamed=$(stream_text "$sample/stream")
printf '%s%s\n' "$prompt" "$streamed"

[ -n "$plain" ] || fail 'the answer is empty'
[ "$plain" = "$streamed" ] || fail "the two answers differ: '$plain' and '$streamed'"
echo "both answers are the same text, from checkpoint $(jq -r .system_fingerprint "$sample/plain")"
