# Step 9: answers from documents that the model was never trained on, with citations.

heading '9. Retrieval: what documents are worth to the model, and where an answer comes from'
collection=words
words_data=$folder/words
scripts/wordnet_documents.py "$words_data"
if ! have docs show "$collection"; then
  run docs create "$collection" --model "$aligned" --description 'WordNet 3.0: what words mean'
elif [ "$("$floe" docs show "$collection" --json | jq -r .embedding_digest)" != \
  "$("$floe" models show "$aligned" --json | jq -r .digest)" ]; then
  run docs reindex "$collection" --model "$aligned" --wait
fi
run docs ingest "$collection" "$words_data/entries.jsonl" --split
run docs show "$collection"

echo
dim "\$ floe docs evaluate $collection $words_data/questions.jsonl --model $aligned"
"$floe" docs evaluate "$collection" "$words_data/questions.jsonl" --model "$aligned" --json >"$sample/worth"
jq -r '["", "log-likelihood", "a token", "perplexity"],
  (["without", "with"][] as $way | [$way + " passages", .["log_likelihood_" + $way],
    .["per_token_" + $way], (-.["per_token_" + $way] | exp)]) | @tsv' "$sample/worth" |
  awk -F'\t' 'NR == 1 { printf "%-18s %16s %10s %12s\n", $1, $2, $3, $4; next }
    { printf "%-18s %16.1f %10.3f %12.1f\n", $1, $2, $3, $4 }'
# What passages are worth is the model's to show: one of three million parameters hardly reads them.
# Finding them is retrieval's: the asked word has an entry of its own.
found=$(jq '[.scores[] | (.question | capture("What does (?<word>.+) mean").word) as $word |
  select(any(.passages[].document; endswith("/" + $word)))] | length' "$sample/worth")
jq -r --arg found "$found" '"\(.questions) held-out questions, \(.answer_tokens) answer tokens; \(.better_with) answers became likelier",
  "the entry that answers is among the passages of \($found) questions"' "$sample/worth"
jq -e --argjson found "$found" '$found >= 0.95 * .questions' "$sample/worth" >/dev/null ||
  fail 'too many questions did not find the entry that answers them'

# words_request RETRIEVAL: the first held-out question, with passages or without.
question=$(head -n 1 "$words_data/questions.jsonl" | jq -r .question)
words_request() {
  jq -cn --arg model "$model" --arg question "$question" --argjson retrieval "$1" '{
    model: $model, messages: [{role: "user", content: $question}], max_tokens: 40, temperature: 0,
    floe: {cache: "off", retrieval: $retrieval}}'
}
echo
ask "$sample/without" /v1/chat/completions "$(words_request '"off"')"
grounded=$(words_request "{\"collection\": \"$collection\", \"top_k\": 4}")
dim "\$ curl $http/v1/chat/completions -d '$grounded'"
ask "$sample/with" /v1/chat/completions "$grounded"
echo "$question"
printf '  without passages: %s\n' "$(jq -r '.choices[0].message.content' "$sample/without")"
printf '  with passages:    %s\n' "$(jq -r '.choices[0].message.content' "$sample/with")"
echo 'cited (document, bytes, score, and what stands there):'
jq -r '.floe.citations[] | [.document, .begin, .end, .score] | @tsv' "$sample/with" >"$sample/citations"
while IFS=$'\t' read -r document begin end score; do
  passage=$(jq -j --arg id "${document##*/}" 'select(.id == $id).text' "$words_data/entries.jsonl" |
    tail -c "+$((begin + 1))" | head -c "$((end - begin))")
  [ -n "$passage" ] || fail "the citation of $document names bytes $begin-$end, which are not there"
  printf '  %-14s %4d-%-4d %7.4f  %s\n' "${document##*/}" "$begin" "$end" "$score" "$passage"
done <"$sample/citations"
[ -s "$sample/citations" ] || fail 'the answer cites nothing'
[ "$(jq '.floe.citations // [] | length' "$sample/without")" = 0 ] ||
  fail 'an answer without retrieval cites something'
