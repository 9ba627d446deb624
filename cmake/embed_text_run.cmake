# The build step of floe_embed_text: TEXTS (a list of Function=file) to the C++ file OUT.
set(bodies "")
foreach(entry IN LISTS TEXTS)
  string(REGEX MATCH "^([A-Za-z]+)=(.*)$" matched ${entry})
  set(name ${CMAKE_MATCH_1})
  file(READ ${CMAKE_MATCH_2} text)
  string(APPEND bodies "std::string_view ${name}() { return R\"floe_text(${text})floe_text\"; }\n")
endforeach()
file(WRITE ${OUT} "#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n${bodies}}  // namespace ${NAMESPACE}\n")
