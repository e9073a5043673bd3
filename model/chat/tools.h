/* Functions that a model may call, as the templates of Gemma 4 and FunctionGemma write them. */
#ifndef GEMLET_MODEL_CHAT_TOOLS_H
#define GEMLET_MODEL_CHAT_TOOLS_H

#include "model/chat/render.h"
#include "model/json/json.h"

/* Sorting an object's members reads it once for each of them; of objects within each other that adds up. */
enum { GEMLET_TOOL_MEMBERS = 256 /* of an object at most */, GEMLET_TOOL_WORK = 1 << 23 /* bytes that are read so, of a text */ };

/* Whether a value is the name of a function as OpenAI allows it: others could end the notation early. */
bool gemlet_is_function_name(gemlet_json name);

/* The declarations of a list as OpenAI's `tools` has it: JSON.  Refuses what is none. */
void gemlet_put_tools(gemlet_rendering *r, const char *text, size_t bytes);

/* {"name": ..., "arguments": {...}}: a call that the model made. */
void gemlet_put_call(gemlet_rendering *r, const char *text, size_t bytes);

/* {"name": ..., "response": ...}: what the function answered. */
void gemlet_put_response(gemlet_rendering *r, const char *text, size_t bytes);

#endif
