"""Small pictures from a seed: soft colours, disks and stripes, so that networks see more than noise."""
import numpy as np
from PIL import Image


def soft_noise(random, height, width, channels, scale):
    """Noise that changes over about `scale` pixels, from 0 to 1."""
    rows, columns = max(2, height // scale + 1), max(2, width // scale + 1)
    coarse = random.rand(rows, columns, channels)
    y = np.linspace(0, rows - 1, height)
    x = np.linspace(0, columns - 1, width)
    top, left = y.astype(int).clip(0, rows - 2), x.astype(int).clip(0, columns - 2)
    fy, fx = (y - top)[:, None, None], (x - left)[None, :, None]
    corner = lambda dy, dx: coarse[np.ix_(top + dy, left + dx)]
    upper = corner(0, 0) * (1 - fx) + corner(0, 1) * fx
    lower = corner(1, 0) * (1 - fx) + corner(1, 1) * fx
    return upper * (1 - fy) + lower * fy


def picture(random, height, width, channels):
    """uint8, `height` x `width` x `channels`."""
    image = soft_noise(random, height, width, channels, random.randint(2, 12))
    y, x = np.mgrid[:height, :width]
    for _ in range(random.randint(1, 5)):
        cy, cx, r = random.rand() * height, random.rand() * width, (0.1 + 0.4 * random.rand()) * height
        inside = (y - cy) ** 2 + (x - cx) ** 2 < r * r
        image[inside] = random.rand(channels)
    if random.rand() < 0.3:
        period, angle = 2 + 8 * random.rand(), random.rand() * np.pi
        stripes = np.sin((y * np.sin(angle) + x * np.cos(angle)) * 2 * np.pi / period)
        image += 0.3 * stripes[:, :, None] * random.rand(channels)
    image = image * (0.4 + 0.8 * random.rand()) + 0.4 * (random.rand(channels) - 0.5)
    return np.clip(np.round(image * 255), 0, 255).astype(np.uint8)


def pictures(random, count, height, width, channels):
    return [picture(random, height, width, channels) for _ in range(count)]


def save(images, folder):
    """As PNG files in `folder`; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for i, image in enumerate(images):
        paths.append(folder / f"{i:02}.png")
        Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(paths[-1])
    return paths
