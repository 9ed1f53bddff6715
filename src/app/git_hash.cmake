# Writes OUTPUT (a header with the commit of SOURCE) if it has changed. Run at every build.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=8 --exclude=*
  OUTPUT_VARIABLE hash ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE status)
if(NOT status EQUAL 0 OR hash STREQUAL "")
  set(hash "no git")
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define CONVOY_GIT_HASH \"${hash}\"\n")
