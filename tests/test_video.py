import av
import numpy as np
import torch
from PIL import Image

from tsvan import video


def test_pixels_round_and_clamp():
    clip = torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0]).view(1, 1, 1, 1, 5).expand(1, 3, 1, 1, 5)
    assert video.to_uint8(clip)[0, 0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_a_sheet_has_one_clip_a_row():
    clips = np.zeros((2, 3, 4, 4, 3), np.uint8)
    clips[1, 2] = 7
    sheet = video.contact_sheet(clips)
    assert sheet.shape == (2 * 6 + 2, 3 * 6 + 2, 3)
    assert (sheet[8:12, 14:18] == 7).all()
    assert (sheet[:2] == 255).all()


def test_a_mosaic_fills_up_with_white():
    clips = np.zeros((3, 5, 4, 4, 3), np.uint8)
    played = video.mosaic(clips, columns=2)
    assert played.shape == (5, 14, 14, 3)
    assert (played[:, 8:12, 8:12] == 255).all()


def test_videos_decode_again(tmp_path):
    clip = np.full((6, 64, 64, 3), 200, np.uint8)
    video.write_mp4(tmp_path / "clip.mp4", clip, fps=12, scale=2)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.height, stream.pix_fmt) == ("h264", 128, "yuv420p")
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(frames) == 6
    assert abs(int(frames[3].mean()) - 200) < 4
    video.write_gif(tmp_path / "clip.gif", np.stack([clip[0], clip[0] // 2]))
    assert Image.open(tmp_path / "clip.gif").n_frames == 2
