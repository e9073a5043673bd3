/* The notation of calls, as the templates of Gemma 4 and FunctionGemma have it. */
#ifndef GEMLET_MODEL_CHAT_NOTATION_H
#define GEMLET_MODEL_CHAT_NOTATION_H

#define GEMLET_CALL_QUOTE "<|\"|>"        /* how the mark around strings reads, which is a token of its own */
#define GEMLET_NOTATION_MARKS ":,{}[]<\"" /* end a member's name, as bytes up to ' ' do */

enum { GEMLET_CALL_QUOTE_BYTES = sizeof GEMLET_CALL_QUOTE - 1 };

#endif
