from setuptools import setup

raise SystemExit('setup.py was run')
NEEDS = ['numpy>=1.16', 'scipy']
setup(name='figures', python_requires='>=3.6', install_requires=NEEDS,
      extras_require={'plots': ['matplotlib==3.1.3']})
