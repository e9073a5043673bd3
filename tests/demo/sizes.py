"""The demo model's sizes and token ids, apart from model.py so that training needs nothing but PyTorch and numpy."""
N_TEXT, N_VISION, N_AUDIO = 512, 8, 8       # vocabulary: text, then image specials, then audio specials
HIDDEN, INTER, HEADS, KV_HEADS, HEAD_DIM = 128, 192, 4, 2, 32
END_OF_IMAGE, IMAGE_SOFT_TOKEN = N_TEXT, N_TEXT + 1
END_OF_AUDIO, AUDIO_SOFT_TOKEN = N_TEXT + N_VISION, N_TEXT + N_VISION + 1
PAD, EOS, BOS, START_OF_TURN, END_OF_TURN, START_OF_IMAGE, START_OF_AUDIO = 0, 1, 2, 4, 5, 6, 7
# The sound encoder: a soft token is 160 ms, and a sound always takes 188 positions of the prompt.
SOUND_POSITIONS = 188
SOUND = dict(hidden_size=128, conf_num_hidden_layers=4, conf_num_attention_heads=4, sscp_conv_channel_size=(32, 16))
